import type { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Deps } from "../deps.ts";
import type { Signers } from "../signing-keys.ts";
import { exchangeToken } from "./exchange.ts";
import { introspectToken } from "./introspect.ts";
import { batchMintTokens, mintToken } from "./mint.ts";
import { refreshToken } from "./refresh.ts";
import { revokeToken } from "./revoke.ts";
import { verifyTokenForLink } from "./verify.ts";

export const tokenService = (deps: Deps, signers: Signers): ServiceImpl<typeof TokenService> => ({
  mintToken: (request, context) => mintToken({ deps, signers, call: context }, request),
  batchMintTokens: (request, context) => batchMintTokens({ deps, signers, call: context }, request),
  exchangeToken: (request, context) => exchangeToken({ deps, signers, call: context }, request),
  refreshToken: (request, context) => refreshToken({ deps, signers, call: context }, request),
  revokeToken: (request, context) => revokeToken(deps, request, context),
  introspectToken: (request) => introspectToken(deps, request),
  verifyToken: (request) => verifyTokenForLink(deps, request),
});
