import type { RequestListener } from "node:http";

/**
 * Ends the connection of every request that is answered before its body was read to the end. connect-node answers an
 * oversized chunked body with `connection: keep-alive` and leaves the rest unread; the next request on that connection,
 * behind a pooling balancer another client's, then hangs (or worse, the rest is read as a request).
 */
export function guardUnreadBody(listener: RequestListener): RequestListener {
  return (request, response) => {
    const { socket } = request;
    const writeHead = response.writeHead.bind(response) as (...args: readonly unknown[]) => typeof response;
    const guarded = (...args: readonly unknown[]): typeof response => {
      if (!request.complete) {
        response.shouldKeepAlive = false;
        response.setHeader("Connection", "close");
      }
      return writeHead(...args);
    };
    response.writeHead = guarded as typeof response.writeHead;
    response.once("finish", () => {
      if (!request.complete) socket.destroySoon();
    });
    listener(request, response);
  };
}
