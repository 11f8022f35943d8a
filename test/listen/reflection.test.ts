import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { ServiceError } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { listenGrpc } from "../../server/src/listen/grpc.ts";
import { rawGrpc } from "../support/raw-grpc.ts";
import { apiFixture } from "./fixture.ts";

const pass = (bytes: Buffer): Buffer => bytes;

/** `ServerReflectionRequest { file_containing_symbol: symbol }`; resolves with the answer's bytes as text. */
async function askFor(symbol: string, version: "v1" | "v1alpha", isOn = true): Promise<string> {
  const { api, health } = apiFixture();
  const listener = await listenGrpc({ host: "127.0.0.1", port: 0, api, health, reflection: isOn, clock: systemClock });
  const grpc = rawGrpc(`127.0.0.1:${listener.address.port}`);
  onTestFinished(async () => {
    grpc.client.close();
    await listener.drain(0);
  });
  const stream = grpc.client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    pass,
    pass,
  );
  const answer = new Promise<string>((resolve) => {
    stream.on("data", (bytes: Buffer) => resolve(bytes.toString("latin1")));
    stream.on("error", ({ details }: ServiceError) => resolve(details));
  });
  stream.write(Buffer.concat([Buffer.from([(4 << 3) | 2, symbol.length]), Buffer.from(symbol)]));
  const text = await answer;
  stream.end();
  return text;
}

test.each(["v1", "v1alpha"] as const)("reflection %s knows the services' messages", async (version) => {
  expect(await askFor(TokenService.typeName, version)).toContain("conduit/v1/token_service.proto");
});

// They travel as Any: no service's file imports them, and grpcurl printed their bytes.
test.each(["google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo"])(
  "reflection knows the details of errors: %s",
  async (symbol) => {
    expect(await askFor(symbol, "v1")).toContain("google/rpc/error_details.proto");
  },
);

test("reflection that was not asked for wants a credential, as every unknown method", async () => {
  expect(await askFor(TokenService.typeName, "v1", false)).not.toContain("token_service.proto");
});
