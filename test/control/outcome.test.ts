import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { toConnectError } from "../../server/src/control/error-mapping.ts";
import { newId } from "../../server/src/control/new-id.ts";
import { outcome } from "../../server/src/control/outcome.ts";
import { ConduitError, ERRORS, type ErrorCode, reasonOf } from "../../server/src/model/errors.ts";
import { systemRandom } from "../../server/src/random.ts";

describe("a failure", () => {
  it.each(Object.keys(ERRORS) as ErrorCode[])("%s is told with its reason and code", (code) => {
    const error = toConnectError(new ConduitError(code, { metadata: { a: "b" } }), "id-1");
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: reasonOf(code), domain: "conduit.link", metadata: { a: "b", request_id: "id-1" } },
    ]);
    expect(Code[error.code].toLowerCase()).toBe(ERRORS[code].grpc.replaceAll("_", ""));
    expect(error.rawMessage).toBe(ERRORS[code].detail);
  });

  it.each([
    [new ConnectError("late", Code.DeadlineExceeded), "DEADLINE_EXCEEDED"],
    [new ConnectError("none", Code.Unimplemented), "NOT_SUPPORTED"],
    [new ConnectError("secret text", Code.Internal), "INTERNAL"],
    [new TypeError("secret text"), "INTERNAL"],
    ["secret text", "INTERNAL"],
  ])("of the library or unknown is one of ours: %s", (thrown, reason) => {
    const error = toConnectError(thrown, "id");
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe(reason);
    expect(JSON.stringify([error.message, error.findDetails(ErrorInfoSchema)])).not.toContain("secret text");
  });
});

describe("a fault of ours", () => {
  const call = async (thrown: unknown) => {
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    const transport = createRouterTransport(
      (router) =>
        router.service(LinkService, {
          getLink() {
            throw thrown;
          },
        }),
      { router: { interceptors: [outcome(log, systemRandom)] } },
    );
    const error = await createClient(LinkService, transport)
      .getLink({ name: "projects/p/links/l" })
      .catch((caught: unknown) => ConnectError.from(caught));
    if (!(error instanceof ConnectError)) throw new Error("it succeeded");
    return { error, lines };
  };

  it("goes to the log with the request id the client gets, and its text does not leave", async () => {
    const { error, lines } = await call(new Error("connection to 10.0.0.1 failed"));
    expect(error.code).toBe(Code.Internal);
    expect(error.rawMessage).not.toContain("10.0.0.1");
    const requestId = error.metadata.get("x-request-id");
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ request_id: requestId, method: "conduit.v1.LinkService/GetLink" });
    expect(lines[0]).toContain("10.0.0.1");
  });

  it("is told apart from a refusal, which is not logged", async () => {
    const { error, lines } = await call(new ConduitError("etag_mismatch"));
    expect([error.code, lines.length]).toEqual([Code.Aborted, 0]);
  });
});

it("generated ids are valid link ids, whatever the display name", () => {
  for (const name of ["", "Wetter-API (v2)", "  ", "ÄÖÜ straße", "123", "-", "x".repeat(300), "日本", "a--b"])
    expect(newId(systemRandom, name, "link")).toMatch(/^[a-z][a-z0-9-]{3,61}[a-z0-9]$/);
});
