import type { Duplex } from "node:stream";
import type { WithUser } from "../../judge/judged-request.ts";
import { Refusal } from "../../judge/refusal.ts";
import type { AnswerEnd, AnswerSink } from "../exchange.ts";
import { type LiveAnswer, liveVerdict } from "../live-checks.ts";
import type { ServedConfig } from "../served-link.ts";
import type { WithLimits, WithLink, WithUpstreamAnswer } from "../stage-values.ts";
import { switchingLines } from "./handshake.ts";
import { Tunnel } from "./tunnel.ts";
import type { Tunnels } from "./tunnels.ts";

type Forwarded = WithLink & WithUser & WithLimits & WithUpstreamAnswer;

interface TunnelParts {
  readonly tunnels: Tunnels;
  readonly config: ServedConfig;
}

/**
 * Answers the client's handshake and joins the two connections until both end. Refuses with `upstream_invalid`.
 * @param socket the upstream's connection, after its 101
 */
export async function openTunnel(
  forwarded: Forwarded,
  socket: Duplex,
  sink: AnswerSink,
  { tunnels, config }: TunnelParts,
): Promise<AnswerEnd | Refusal> {
  const { served, accepted, limitLines, upstreamAnswer } = forwarded;
  const { handshake } = accepted;
  const lines = handshake && switchingLines(handshake, upstreamAnswer.headers);
  if (lines === undefined || sink.isGone) {
    socket.destroy();
    return new Refusal("upstream_invalid", { detail: "The upstream's answer to the WebSocket handshake is not valid" });
  }
  const blanked = lines.map((text) => served.answer.credential.blank(text));
  const headerLines = [...blanked, "X-Request-ID", accepted.requestId, ...limitLines];
  const client = sink.switchProtocols({ status: 101, headerLines });
  const { requestBodyMaxBytes, upstream } = served.judged.link;
  const limits = { messageMaxBytes: requestBodyMaxBytes, idleTimeoutMs: upstream.idleTimeoutMs };
  const tunnel = new Tunnel(client, socket, limits);
  tunnels.enter(tunnel, tunnelVerdict(forwarded, config));
  return await tunnel.ended;
}

/** As for every live answer, and only while the link allows WebSockets. */
function tunnelVerdict(forwarded: Forwarded, config: ServedConfig): LiveAnswer["stillAllowed"] {
  const verdict = liveVerdict(forwarded, config);
  const { id } = forwarded.link;
  return (nowMs) =>
    config.link(id)?.judged.link.allowWebsocket === true ? verdict(nowMs) : new Refusal("link_disabled");
}
