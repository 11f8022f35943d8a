/** A token's payload: JSON as the signer wrote it. Only own properties count; read it through `policy/claims.ts`. */
export type Claims = Readonly<Record<string, unknown>>;
