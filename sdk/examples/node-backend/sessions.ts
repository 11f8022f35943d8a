// Users' sessions, kept by Conduit: this file is all that a back end needs of it.
import { type ControlClient, ControlError } from "@conduit-link/sdk/server";
import type { User } from "./users.ts";

/** What the page gets: its access token stays in its memory. */
export interface AccessToken {
  readonly accessToken: string;
  /** Seconds. */
  readonly expiresIn: number;
}

/** Both tokens: the second goes into an HttpOnly cookie, where no script reads it. */
export interface Tokens {
  readonly access: AccessToken;
  readonly refreshToken: string;
}

interface TokenAnswer {
  readonly accessToken: string;
  /** A number from MintToken, text from other methods (proto JSON). */
  readonly expiresIn: number | string;
  readonly refreshToken?: string;
}

const TOKENS = "conduit.v1.TokenService";

export class Sessions {
  readonly #control: ControlClient;
  readonly #project: string;
  readonly #links: readonly string[];

  /** @param links resource names of the links that users may call */
  constructor(control: ControlClient, project: string, links: readonly string[]) {
    this.#control = control;
    this.#project = project;
    this.#links = links;
  }

  /** Opens a session for a user who has just proved who they are. */
  async open({ id, email }: User, device: string): Promise<Tokens> {
    const answer = await this.#control.mintToken({
      parent: this.#project,
      subject: id,
      links: this.#links,
      claims: { email },
      session: { deviceLabel: device },
    });
    return tokensOf(answer);
  }

  /** The next tokens; undefined = the session is over. Rejects when nobody could say: then the cookie stays. */
  async refresh(refreshToken: string): Promise<Tokens | undefined> {
    try {
      return tokensOf(await this.#control.call<TokenAnswer>(TOKENS, "RefreshToken", { refreshToken }));
    } catch (error) {
      if (error instanceof ControlError && error.reason === "REFRESH_TOKEN_INVALID") return undefined;
      throw error;
    }
  }

  /** Ends a session: every proxy refuses its access tokens from now on. */
  async end(refreshToken: string): Promise<void> {
    await this.#control.call(TOKENS, "RevokeToken", { parent: this.#project, token: refreshToken, reason: "log-out" });
  }

  /** Ends all sessions of a user. */
  async endAll({ id }: User, reason: string): Promise<void> {
    const message = { parent: this.#project, subject: id, reason };
    await this.#control.call("conduit.v1.SessionService", "RevokeSubjectSessions", message);
  }
}

function tokensOf({ accessToken, expiresIn, refreshToken = "" }: TokenAnswer): Tokens {
  return { access: { accessToken, expiresIn: Number(expiresIn) }, refreshToken };
}
