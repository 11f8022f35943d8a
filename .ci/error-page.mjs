// The page of all errors, `server/ERRORS.md`, from `server/src/model/errors.ts` and `error-guide.ts`.
import { ERROR_GUIDE } from "../server/src/model/error-guide.ts";
import { ERRORS } from "../server/src/model/errors.ts";

/** The first error that only the API has: what stands before it in the table is the proxy's. */
const FIRST_OF_API = "credential_invalid";

const HEAD = `# Errors

Made by \`npm run generate\` from \`src/model/errors.ts\` and \`src/model/error-guide.ts\`; do not edit.

The proxy refuses with \`application/problem+json\` and the code in \`X-Conduit-Error\`. The API answers with the gRPC code and
\`google.rpc.ErrorInfo\`: \`reason\` is the code in upper case, \`domain\` is \`conduit.link\`. Both are the enum \`ErrorReason\` of
\`proto/conduit/v1/error_reason.proto\`. "Again" = the same request may succeed later without any change.
`;

const cell = (text) => text.replaceAll("|", "\\|");

function table(codes) {
  const rows = codes.map((code) => {
    const { http, grpc, retryable } = ERRORS[code];
    const { cause, remedy } = ERROR_GUIDE[code];
    return `| \`${code}\` | ${http} | \`${grpc}\` | ${retryable ? "yes" : ""} | ${cell(cause)} | ${cell(remedy)} |`;
  });
  return ["| code | HTTP | gRPC | again | cause | what to do |", "|---|---|---|---|---|---|", ...rows].join("\n");
}

/** The whole page as text. */
export function errorPage() {
  const codes = Object.keys(ERRORS);
  const border = codes.indexOf(FIRST_OF_API);
  const [proxy, api] = [codes.slice(0, border), codes.slice(border)];
  return `${HEAD}\n## The proxy\n\n${table(proxy)}\n\n## The API\n\nAlso \`not_supported\`, \`not_ready\` and \`issuer_unreachable\` above.\n\n${table(api)}\n`;
}
