import { create } from "@bufbuild/protobuf";
import {
  createContextValues,
  createHandlerContext,
  type HandlerContext,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { runUnaryCall } from "@connectrpc/connect/protocol";
import type { ControlService } from "./control-service.ts";

type Implementation = (request: unknown, context: HandlerContext) => unknown;

/**
 * Calls unary methods inside this process, through the interceptors and without encoding anything. Unlike other
 * transports it passes the call's context values on: who has identified the caller before sets `principalKey` there.
 * Never give it to anything that a network can reach.
 */
export function inProcessTransport(
  services: readonly ControlService[],
  interceptors: readonly Interceptor[],
): Transport {
  const byName = new Map(services.map(({ service, implementation }) => [service.typeName, implementation]));
  return {
    unary(method, signal, timeoutMs, header, message, contextValues = createContextValues()) {
      const implementation = byName.get(method.parent.typeName) as Record<string, Implementation> | undefined;
      const implemented = implementation?.[method.localName];
      if (implemented === undefined) throw new TypeError(`there is no ${method.parent.typeName}/${method.name}`);
      const about = {
        service: method.parent,
        method,
        requestMethod: "POST",
        url: `in-process:/${method.name}`,
      } as const;
      return runUnaryCall({
        interceptors: [...interceptors],
        ...(signal !== undefined && { signal }),
        ...(timeoutMs !== undefined && { timeoutMs }),
        req: { ...about, stream: false, header: new Headers(header), contextValues, message },
        async next(request) {
          const called = { ...about, protocolName: "in-process", contextValues, requestSignal: request.signal };
          const context = createHandlerContext(called);
          const answer = await implemented.call(implementation, request.message, context);
          const { responseHeader, responseTrailer } = context;
          const output = create(method.output, answer as Parameters<typeof create<typeof method.output>>[1]);
          return { ...about, stream: false, header: responseHeader, trailer: responseTrailer, message: output };
        },
      });
    },
    stream() {
      throw new TypeError("streams are for listeners");
    },
  };
}
