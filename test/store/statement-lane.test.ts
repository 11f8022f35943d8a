import { expect, test } from "vitest";
import { createStatementLane } from "../../server/src/store/statement-lane.ts";

/** A connection that answers when told to. */
function fakeConnection() {
  const lane = createStatementLane();
  const sent: string[] = [];
  const answers = new Map<string, PromiseWithResolvers<string>>();
  const run = (label: string, name: string | undefined = label) => {
    const answer = Promise.withResolvers<string>();
    answers.set(label, answer);
    const result = lane.run(name, () => {
      sent.push(label);
      return answer.promise;
    });
    result.catch(() => {});
    return result;
  };
  const answer = async (label: string) => {
    answers.get(label)?.resolve(label);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const fail = async (label: string) => {
    answers.get(label)?.reject(new Error(label));
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { run, answer, fail, sent };
}

test("what the server knows by name is sent together, in order", async () => {
  const { run, answer, sent } = fakeConnection();
  for (const label of ["a", "b"]) {
    const first = run(label);
    await answer(label);
    await first;
  }
  void run("a");
  void run("b");
  void run("a");
  expect(sent).toEqual(["a", "b", "a", "b", "a"]);
});

test("what it does not know waits for all before it, and all after wait for it", async () => {
  const { run, answer, sent } = fakeConnection();
  const first = run("a");
  await answer("a");
  await first;
  void run("a");
  void run("new");
  void run("unnamed", undefined);
  void run("a2", "a");
  expect(sent).toEqual(["a", "a"]);
  await answer("a");
  expect(sent).toEqual(["a", "a", "new"]);
  await answer("new");
  expect(sent).toEqual(["a", "a", "new", "unnamed"]);
  await answer("unnamed");
  expect(sent).toEqual(["a", "a", "new", "unnamed", "a2"]);
});

test("a statement that fails is not known afterwards, and holds nobody up", async () => {
  const { run, fail, sent } = fakeConnection();
  const first = run("a");
  void run("b");
  await fail("a");
  await expect(first).rejects.toThrow("a");
  expect(sent).toEqual(["a", "b"]);
});
