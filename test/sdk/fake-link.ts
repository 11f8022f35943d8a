// A link as the SDK sees it: a stand-in for the proxy, another origin that must get nothing, and clients that count their refreshes.
import { afterEach, beforeEach } from "vitest";
import { type Conduit, type ConduitOptions, createConduit, type Grant, isConduitError } from "../../sdk/src/index.ts";
import { type Answer, type HttpServer, type RecordedRequest, startHttpServer } from "../support/http-server.ts";

export const LINK_TOKEN = "cl_pub_testtoken";

export interface OpenedConduit extends Pick<Conduit, "fetchWithAuth"> {
  readonly conduit: Conduit;
  /** How often a token was asked for. */
  rounds(): number;
}

export interface FakeLink {
  /** Refuses the tokens in `refused` as the proxy does, with the code `refusal`; else gives `answer`. */
  proxy: HttpServer;
  /** Any other origin: nothing of ours may arrive. */
  stranger: HttpServer;
  refused: Set<string>;
  refusal: string;
  /** Requests for this path are judged only then. */
  late: { readonly path: string; readonly until: Promise<void> } | undefined;
  answer: (request: RecordedRequest) => Answer;
  /** A client of the link `link`, whose source answers t1, t2, … */
  open(options?: Partial<ConduitOptions>): OpenedConduit;
  /** `Authorization` of every request so far. */
  tokensSeen(): (string | undefined)[];
}

/** Starts a fresh link before each test of the file, and ends it afterwards. */
export function useFakeLink(): FakeLink {
  const conduits: Conduit[] = [];
  const link = {
    open(options = {}) {
      let round = 0;
      const getToken = (): Grant => ({ token: `t${++round}`, expiresIn: 900 });
      const conduit = createConduit({ url: `${link.proxy.url}/link`, linkToken: LINK_TOKEN, getToken, ...options });
      conduits.push(conduit);
      return { fetchWithAuth: conduit.fetchWithAuth, conduit, rounds: () => round };
    },
    tokensSeen: () => link.proxy.requests.map((request) => request.header("authorization")[0]),
  } as FakeLink;

  beforeEach(async () => {
    link.refused = new Set();
    link.refusal = "token_expired";
    link.late = undefined;
    link.answer = ({ body }) => ({ body: body.toString("latin1") });
    link.stranger = await startHttpServer();
    link.proxy = await startHttpServer(async (request) => {
      const [authorization = ""] = request.header("authorization");
      const isRefused = link.refused.has(authorization.replace("Bearer ", ""));
      if (request.target === link.late?.path) await link.late.until;
      if (!isRefused) return link.answer(request);
      return { status: 401, headers: { "X-Conduit-Error": link.refusal }, body: { code: link.refusal } };
    });
  });
  afterEach(async () => {
    for (const conduit of conduits.splice(0)) conduit.dispose();
    await Promise.all([link.proxy.close(), link.stranger.close()]);
  });
  return link;
}

/** What a promise rejected with; `undefined` if it did not. */
export function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => undefined).catch((error: unknown) => error);
}

/** Whether a call was refused because of where it would go. */
export async function isNotAllowed(promise: Promise<unknown>): Promise<boolean> {
  return isConduitError(await rejection(promise), "origin_not_allowed");
}
