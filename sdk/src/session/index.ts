export { type BackendOptions, fromBackend, fromToken } from "./back-end.ts";
export { type ControlPlaneOptions, fromControlPlane } from "./control-plane.ts";
export { indexedDbStore } from "./indexed-db-store.ts";
export type { RefreshSource } from "./refresh-source.ts";
export { createSession, type FedTokens, type Session, type SessionOptions, type SessionPlatform } from "./session.ts";
export { type KeyValueStorage, memoryStore, storageStore, type TokenStore } from "./store.ts";
