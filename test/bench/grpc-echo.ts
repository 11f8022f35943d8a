// Process: a bare grpc-js server that answers the bytes it got, whatever the path: what a call costs without us.
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { serveParent } from "./messages.ts";

const pass = (bytes: Buffer): Buffer => bytes;
const server = new Server();
server.addService(
  {
    echo: {
      path: "/bench.Echo/Echo",
      requestStream: false,
      responseStream: false,
      requestSerialize: pass,
      requestDeserialize: pass,
      responseSerialize: pass,
      responseDeserialize: pass,
    },
  },
  { echo: (call: { request: Buffer }, answer: (error: null, bytes: Buffer) => void) => answer(null, call.request) },
);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
    error ? reject(error) : resolve(bound),
  );
});
serveParent(port);
