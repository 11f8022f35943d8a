// Calls the demo link that `npm start` made, as one of its users:
//   npm exec -- node --conditions=conduit-source sdk/examples/node-script/main.ts [path of dev.json]
import { readFile } from "node:fs/promises";
import { createConduit, isConduitError } from "@conduit-link/sdk";
import { signUserToken } from "@conduit-link/sdk/server";

const USER = "user-123";

interface DevFile {
  readonly proxy_url: string;
  readonly link_id: string;
  readonly link_token: string;
  readonly iss: string;
  readonly hs256_secret: string;
}

async function readDevFile(path: string): Promise<DevFile> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as DevFile;
  } catch (cause) {
    throw new Error(`${path} cannot be read; is npm start running?`, { cause });
  }
}

const dev = await readDevFile(process.argv[2] ?? ".conduit/dev.json");
const conduit = createConduit({
  url: `${dev.proxy_url}/${dev.link_id}`,
  linkToken: dev.link_token,
  // In an app this asks its back end, which alone knows the secret.
  getToken: () =>
    signUserToken({
      sub: USER,
      claims: { email: "ada@example.com", roles: ["editor"] },
      secret: dev.hs256_secret,
      issuer: dev.iss,
    }),
  autoRefresh: false,
});

for (const path of [`/api/users/${USER}/profile`, "/api/users/somebody-else/profile", "/../another-link/x"]) {
  try {
    const response = await conduit.fetchWithAuth(path);
    console.log(`${path}: ${response.status}`, await response.json());
  } catch (error) {
    if (!isConduitError(error)) throw error;
    console.log(`${path}: not sent, ${error.code}`);
  }
}
