export type { ConduitBody, ConduitBodyValue, FetchBody } from "./body.ts";
export { type Conduit, type ConduitOptions, createConduit } from "./client.ts";
export { ConduitError, type ConduitErrorCode, isConduitError } from "./errors.ts";
export { isTokenExpired } from "./expiry.ts";
export type { ConduitRequestInit, FetchWithAuth } from "./fetch-with-auth.ts";
export type { ConduitEvents, GetToken, Grant, RefreshContext, RefreshReason, TokenSource } from "./grant.ts";
export type { Platform } from "./platform.ts";
export type { AcquireOptions } from "./renewal.ts";
export { type ConduitState, TokenManager, type TokenManagerOptions } from "./token-manager.ts";
