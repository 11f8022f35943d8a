// A proxy's stream as its handler gives it: frames decoded, by a proxy that has been let in.
import { fromBinary } from "@bufbuild/protobuf";
import {
  ConfigService,
  type Hello,
  type ResourceChange,
  type WatchConfigResponse,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { createContextValues, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { proxyKey } from "../../server/src/control/call.ts";
import { encodingOf } from "../../server/src/model/encoded-message.ts";
import type { ControlPlane } from "./control-plane.ts";

export interface WatchedConfig {
  readonly hello: Hello;
  /** As the snapshot has them, by name. */
  readonly resources: ReadonlyMap<string, ResourceChange>;
  /** Resolves with what the stream fails with. */
  readonly end: Promise<unknown>;
  /** Everything that came so far, after the snapshot. */
  readonly later: readonly WatchConfigResponse["event"][];
  close(): void;
}

/** Opens a stream without a cursor and reads its snapshot. Rejects with what refuses it. */
export async function watchConfig(plane: ControlPlane, proxy: string): Promise<WatchedConfig> {
  const mount = plane.control.services.find(({ service }) => service === ConfigService);
  const implementation = mount?.implementation as ServiceImpl<typeof ConfigService>;
  const abort = new AbortController();
  const values = createContextValues().set(proxyKey, { proxy, credentialHash: "", isCredentialDue: false });
  const context = { values, signal: abort.signal } as HandlerContext;
  const request = { $typeName: "conduit.v1.WatchConfigRequest" as const, proxyVersion: "", instanceId: "" };
  const messages = implementation.watchConfig(request, context)[Symbol.asyncIterator]();
  const next = async (): Promise<WatchConfigResponse["event"] | undefined> => {
    const { value, done } = await messages.next();
    if (done === true) return undefined;
    return fromBinary(WatchConfigResponseSchema, encodingOf(value) ?? new Uint8Array()).event;
  };
  const hello = await next();
  if (hello?.case !== "hello") throw new Error("no Hello first");
  const resources = new Map<string, ResourceChange>();
  for (;;) {
    const event = await next();
    if (event?.case !== "snapshot") throw new Error("no snapshot after Hello");
    for (const resource of event.value.resources) resources.set(resource.name, resource);
    if (event.value.last) break;
  }
  const later: WatchConfigResponse["event"][] = [];
  const end = (async () => {
    for (let event = await next(); event !== undefined; event = await next()) later.push(event);
  })().then(
    () => undefined,
    (cause: unknown) => cause,
  );
  return { hello: hello.value, resources, end, later, close: () => abort.abort() };
}
