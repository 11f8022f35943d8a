// The React adapter without a browser; test/browser/react.test.ts has the rest.
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { ConduitProvider, useConduit } from "../../../sdk/src/adapters/react.ts";
import { createConduit } from "../../../sdk/src/index.ts";

function State() {
  const { fetchWithAuth, state, signOut } = useConduit();
  return createElement("i", null, `${state} ${typeof fetchWithAuth} ${typeof signOut}`);
}

test("a server renders `empty`, whatever the client holds, and asks for no token", () => {
  let asked = 0;
  const conduit = createConduit({
    url: "https://proxy.example/link",
    getToken() {
      asked += 1;
      return "t1";
    },
    autoRefresh: false,
  });
  const render = () => renderToString(createElement(ConduitProvider, { conduit }, createElement(State)));
  expect(render()).toBe("<i>empty function function</i>");
  conduit.tokens.setToken("t2", 900);
  expect([render(), conduit.state, asked]).toEqual(["<i>empty function function</i>", "ready", 0]);
});

test("the hook says what it lacks", () => {
  expect(() => renderToString(createElement(State))).toThrow("<ConduitProvider conduit={…}>");
});
