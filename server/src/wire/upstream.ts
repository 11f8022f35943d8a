import { create } from "@bufbuild/protobuf";
import {
  type Injection as InjectionMessage,
  InjectionSchema,
  type Upstream as UpstreamMessage,
  UpstreamSchema,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ConduitError } from "../model/errors.ts";
import { type Injection, LINK_DEFAULTS, type Upstream } from "../model/link.ts";
import { durationFromMs, msFromDuration } from "./time.ts";

/** Absent timeouts get the defaults of contract.md 8; an absent message has an empty base URL, which no link may have. */
export function upstreamFromProto(message: UpstreamMessage | undefined): Upstream {
  const totalTimeoutMs = msFromDuration(message?.totalTimeout);
  const caCertificates = message?.caCertificates ?? "";
  return {
    baseUrl: message?.baseUrl ?? "",
    allowPrivate: message?.allowPrivate ?? false,
    connectTimeoutMs: msFromDuration(message?.connectTimeout) ?? LINK_DEFAULTS.connectTimeoutMs,
    firstByteTimeoutMs: msFromDuration(message?.firstByteTimeout) ?? LINK_DEFAULTS.firstByteTimeoutMs,
    idleTimeoutMs: msFromDuration(message?.idleTimeout) ?? LINK_DEFAULTS.idleTimeoutMs,
    ...(totalTimeoutMs !== undefined && { totalTimeoutMs }),
    ...(caCertificates !== "" && { caCertificates }),
  };
}

export function upstreamToProto(upstream: Upstream): UpstreamMessage {
  const message = create(UpstreamSchema, { baseUrl: upstream.baseUrl, allowPrivate: upstream.allowPrivate });
  message.connectTimeout = durationFromMs(upstream.connectTimeoutMs);
  message.firstByteTimeout = durationFromMs(upstream.firstByteTimeoutMs);
  message.idleTimeout = durationFromMs(upstream.idleTimeoutMs);
  message.totalTimeout = durationFromMs(upstream.totalTimeoutMs);
  message.caCertificates = upstream.caCertificates ?? "";
  return message;
}

/** Throws `field_invalid` when the kind is not set or from a newer version: a credential must not be left out silently. */
export function injectionFromProto({ kind, name, prefix, secret }: InjectionMessage): Injection {
  switch (kind.case) {
    case "header":
      return { kind: "header", name, prefix, secret };
    case "query":
      return { kind: "query", name, secret };
    case "basic":
      return { kind: "basic", name, secret };
    case "bearer":
      return { kind: "bearer", secret };
    case undefined:
      throw new ConduitError("field_invalid", { detail: "injection has no kind" });
  }
}

export function injectionToProto(injection: Injection): InjectionMessage {
  const { secret } = injection;
  switch (injection.kind) {
    case "header": {
      const { name, prefix } = injection;
      return create(InjectionSchema, { kind: { case: "header", value: {} }, name, prefix, secret });
    }
    case "query":
    case "basic":
      return create(InjectionSchema, { kind: { case: injection.kind, value: {} }, name: injection.name, secret });
    case "bearer":
      return create(InjectionSchema, { kind: { case: "bearer", value: {} }, secret });
  }
}
