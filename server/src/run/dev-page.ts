import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { DemoFacts } from "../../dashboard/dev/snippets.ts";
import type { PlainAnswer, PlainRequest, PlainRoute } from "../model/plain-http.ts";
import { sourceRoute } from "./source-route.ts";

const INDEX = fileURLToPath(new URL("../../dashboard/dev/index.html", import.meta.url));
const LIFETIME_DEFAULT_SECONDS = 20;
const LIFETIME_MAX_SECONDS = 3_600;

export interface DevPageOptions {
  readonly facts: DemoFacts;
  /** Signs a token of the demo user for so many seconds. */
  readonly signDemoToken: (lifetimeSeconds: number) => Promise<string>;
}

/** Routes of the development page: the page, its facts, its sources, and the demo user's back end. */
export function devPageRoutes({ facts, signDemoToken }: DevPageOptions): readonly PlainRoute[] {
  const page: PlainRoute = async ({ method, path }) =>
    path === "/" && method === "GET" ? html(await readFile(INDEX, "utf8"), facts) : undefined;
  const demoFacts: PlainRoute = async ({ method, path }) =>
    path === "/demo.json" && method === "GET" ? json(200, facts) : undefined;
  const demoToken: PlainRoute = async (request) =>
    request.path === "/demo/token" && request.method === "POST" ? mintDemoToken(request, signDemoToken) : undefined;
  return [page, demoFacts, demoToken, sourceRoute];
}

/** The page may call the proxy's origin and its own, and run scripts of its own origin only. */
function html(body: string, { proxy_url }: DemoFacts): PlainAnswer {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `connect-src 'self' ${proxy_url}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return {
    status: 200,
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": policy,
      "Cache-Control": "no-cache",
    },
    body,
  };
}

const json = (status: number, value: unknown): PlainAnswer => ({
  status,
  headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  body: JSON.stringify(value),
});

async function mintDemoToken(request: PlainRequest, sign: DevPageOptions["signDemoToken"]): Promise<PlainAnswer> {
  // A page of another origin cannot send JSON without a preflight, which nobody answers; a browser also says where from.
  const site = request.header("sec-fetch-site") ?? "same-origin";
  if (site !== "same-origin" || !request.header("content-type")?.startsWith("application/json"))
    return json(403, { error: "only this page may ask for demo tokens, as JSON" });
  const seconds = lifetimeOf(await request.body());
  if (seconds === undefined)
    return json(400, { error: `lifetime_seconds: give a whole number, 1-${LIFETIME_MAX_SECONDS}` });
  return json(200, { token: await sign(seconds), expiresIn: seconds });
}

function lifetimeOf(body: string): number | undefined {
  let value: unknown;
  try {
    value = (JSON.parse(body || "{}") as { lifetime_seconds?: unknown }).lifetime_seconds ?? LIFETIME_DEFAULT_SECONDS;
  } catch {
    return undefined;
  }
  const isValid = Number.isInteger(value) && Number(value) >= 1 && Number(value) <= LIFETIME_MAX_SECONDS;
  return isValid ? Number(value) : undefined;
}
