/** A test of one claim. `path` is a claim path (`policy/claims.ts`): `sub`, `a.b`, `["https://app.example/roles"]`. */
export type ClaimCondition =
  | { readonly path: string; readonly test: "equals"; readonly value: string }
  | { readonly path: string; readonly test: "one_of"; readonly values: readonly string[] }
  | { readonly path: string; readonly test: "contains"; readonly value: string }
  | { readonly path: string; readonly test: "present"; readonly present: boolean };
