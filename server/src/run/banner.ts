import type { DevFile } from "./dev-file.ts";

export interface BannerOptions {
  readonly file: DevFile;
  readonly dataDir: string;
  /** A user's JWT for subject 123, valid for an hour. */
  readonly userToken: string;
  readonly masterKeyPath: string;
}

const BURST = 30;

/** What `conduit dev` prints: where things are, and four commands that work when pasted. The one place that shows demo tokens. */
export function banner({ file, dataDir, userToken, masterKeyPath }: BannerOptions): string {
  const link = `${file.proxy_url}/${file.link_id}`;
  const app = `-H 'X-Access-Token: ${file.link_token}'`;
  const user = `-H 'Authorization: Bearer ${userToken}'`;
  return `
Conduit Link, development: one process, demo data in ${dataDir} (master key: ${masterKeyPath}, kept beside the data; not for production)
  page   ${file.control_url}    proxy  ${file.proxy_url}    API  ${file.control_url} and gRPC ${file.grpc_address}    admin  ${file.admin_url}
  The demo links may reach their upstream on this machine (allow_private); other links may not reach loopback or private addresses unless an operator says so.

# 401: no token
curl -i ${link}/api/users/123/profile
# 200: the app's token and user 123's JWT; the answer shows what the upstream received, its key hidden
curl -i ${app} ${user} ${link}/api/users/123/profile
# 403: another user's path
curl -i ${app} ${user} ${link}/api/users/456/profile
# 429: ${BURST} calls in a burst, statuses counted
curl -s -w '\\n%{http_code}\\n' ${app} ${user} '${link}/api/users/123/item/[1-${BURST}]' | grep -xE '[0-9]{3}' | sort | uniq -c
`;
}
