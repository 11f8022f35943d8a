// What the tests of issuers through a whole installation share.
import { afterAll, beforeAll } from "vitest";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

export const PROJECT = "projects/keys";

/** Calls the API as the operator. */
export type Call = <Answer>(service: string, method: string, request: object) => Promise<Answer>;

export interface IssuerStack {
  readonly call: Call;
  /** Makes a link that trusts one issuer and waits until it is served. */
  serveLink(id: string, issuer: string, more: object): Promise<void>;
  /** 200, or the code of the refusal. */
  codeOf(link: string, token: string): Promise<string>;
}

/** An installation with the project, for the tests of one file. */
export function useIssuerStack(): IssuerStack {
  let stack: Stack;
  let upstream: HttpServer;
  const call: Call = (service, method, request) =>
    stack.control.call(`conduit.v1.${service}`, method, request as never);
  const codeOf = async (link: string, token: string): Promise<string> => {
    const headers = { authorization: `Bearer ${token || "x"}` };
    const answer = await fetch(`${stack.proxyUrl}/${link}/x`, { headers });
    await answer.arrayBuffer();
    return answer.headers.get("x-conduit-error") ?? String(answer.status);
  };
  beforeAll(async () => {
    [stack, upstream] = await Promise.all([startStack(), startHttpServer(() => ({ body: { ok: true } }))]);
    await call("ProjectService", "CreateProject", { projectId: "keys", project: {} });
  }, 90_000);
  afterAll(() => upstream.close());
  return {
    call,
    codeOf,
    async serveLink(id, issuer, more) {
      await call("LinkService", "CreateLink", {
        parent: PROJECT,
        linkId: id,
        link: {
          upstream: { baseUrl: upstream.url, allowPrivate: true },
          issuers: [issuer],
          linkTokenMode: "LINK_TOKEN_MODE_OFF",
          rules: [{ path: "/**" }],
          limits: [{ name: "all", requests: 10_000, window: "60s", burst: 1_000 }],
          ...more,
        },
      });
      await until("the link is served", async () => ((await codeOf(id, "")) === "token_malformed" ? true : undefined));
    },
  };
}
