/** What the page knows about the running installation; the answer of `/demo.json`. Nothing in it is secret. */
export interface DemoFacts {
  readonly proxy_url: string;
  readonly control_url: string;
  readonly grpc_address: string;
  readonly link: string;
  readonly link_id: string;
  readonly link_token: string;
  readonly project: string;
  readonly dev_file: string;
}

export interface Snippet {
  readonly title: string;
  readonly note: string;
  readonly code: string;
}

/** The same call from the reader's own code, with this installation's values filled in. */
export const snippetsOf = (facts: DemoFacts): readonly Snippet[] => [
  {
    title: "Browser, React Native",
    note: "getToken asks your own back end, which knows who is signed in. Any fetch-shaped client can use fetchWithAuth.",
    code: `import { createConduit } from "@conduit-link/sdk";

const conduit = createConduit({
  url: "${facts.proxy_url}/${facts.link_id}",
  linkToken: "${facts.link_token}",
  getToken: async ({ signal }) => {
    const response = await fetch("/session/token", { method: "POST", signal });
    return response.status === 401 ? null : response.json(); // { token, expiresIn }
  },
});

const response = await conduit.fetchWithAuth("/api/users/123/profile");
console.log(response.status, await response.json());`,
  },
  {
    title: "Back end: mint",
    note: `The API key stands in ${facts.dev_file}; it stays on your server.`,
    code: `import { createControlClient } from "@conduit-link/sdk/server";

const control = createControlClient({ url: "${facts.control_url}", apiKey: process.env.CONDUIT_API_KEY });
const { accessToken, expiresIn } = await control.mintToken({
  parent: "${facts.project}",
  subject: "123",
  links: ["${facts.link}"],
  claims: { email: "ada@example.com" },
});`,
  },
  {
    title: "Back end: sign HS256",
    note: `The shared secret is hs256_secret in ${facts.dev_file}. Any JWT library will do: const token = jwt.sign(…).`,
    code: `import { signUserToken } from "@conduit-link/sdk/server";

const token = await signUserToken({
  sub: "123",
  claims: { email: "ada@example.com", role: "premium" },
  secret: process.env.JWT_SECRET,
  issuer: "conduit-demo",
  expiresIn: "15m",
});`,
  },
  {
    title: "curl",
    note: "TOKEN is a user's JWT: the start banner of npm start shows one.",
    code: `curl -i ${facts.proxy_url}/${facts.link_id}/api/users/123/profile \\
  -H "X-Access-Token: ${facts.link_token}" \\
  -H "Authorization: Bearer $TOKEN"`,
  },
  {
    title: "gRPC",
    note: "Reflection is on in development, so any gRPC client works without the protos.",
    code: `npx --no-install buf curl --protocol grpc --http2-prior-knowledge \\
  -H "authorization: Bearer $CONDUIT_API_KEY" \\
  -d '{"parent":"${facts.project}","subject":"123","links":["${facts.link}"],"claims":{"email":"ada@example.com"}}' \\
  http://${facts.grpc_address}/conduit.v1.TokenService/MintToken`,
  },
];
