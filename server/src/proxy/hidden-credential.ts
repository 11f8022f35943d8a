import type { Injection } from "../model/link.ts";
import type { SecretText } from "../model/secret-text.ts";
import { EchoScanner } from "./echo-scanner.ts";
import { spellingsOf } from "./echo-spellings.ts";

/** What stands in place of a credential that an upstream sends back. */
const BLANK = "[hidden]";

/** Shorter values would blank ordinary text by accident; a credential that short protects nothing. */
const BLANKED_MIN_LENGTH = 6;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these end or cut a header line
const NOT_IN_HEADER = /[\x00-\x08\x0a-\x1f\x7f]/;

/**
 * The credentials of one link, ready to be added to requests. Their values live in private fields: logged or turned to
 * JSON by mistake, it prints `[secret]`.
 */
export class HiddenCredential {
  /** Lower-case names of the headers it writes. */
  readonly headerNames: readonly string[];
  /** Decoded names of the query parameters it writes. */
  readonly queryNames: readonly string[];
  readonly #headerLines: readonly string[];
  readonly #query: string;
  readonly #sources: readonly Source[];
  /** Every spelling in which a value could come back; made with the first answer, since most links are idle. */
  #echoes: readonly string[] | undefined;
  /** The same for bodies; made with the first that is scanned. */
  #echoBytes: readonly Buffer[] | undefined;

  /** @throws TypeError when a value cannot be sent: the link is rejected, its text says which injection */
  constructor(injections: readonly Injection[], secretOf: (name: string) => SecretText) {
    this.#sources = injections.map((injection) => ({ injection, secret: secretOf(injection.secret) }));
    const opened = this.#sources.map(open);
    const lines = opened.flatMap((it) => (it.header === undefined ? [] : [it.header]));
    this.#headerLines = lines.flat();
    this.headerNames = lines.map(([name]) => name.toLowerCase());
    const query = opened.flatMap((it) => (it.query === undefined ? [] : [it.query]));
    this.#query = query.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
    this.queryNames = query.map(([name]) => name);
  }

  /** Appends its header lines. */
  addHeaders(headerLines: string[]): void {
    for (const text of this.#headerLines) headerLines.push(text);
  }

  /** The query with its parameters; `query` is "" or begins with `?`. */
  addQuery(query: string): string {
    if (this.#query === "") return query;
    return query.length <= 1 ? `?${this.#query}` : `${query}&${this.#query}`;
  }

  /** Whether a text holds one of its values. */
  isIn(text: string): boolean {
    for (const echo of this.#spellings()) if (text.includes(echo)) return true;
    return false;
  }

  /** For one body: blanks its values there. Undefined = there is nothing to look for. */
  newScanner(): EchoScanner | undefined {
    this.#echoBytes ??= bytesOf(this.#spellings());
    return this.#echoBytes.length === 0 ? undefined : new EchoScanner(this.#echoBytes);
  }

  /** The text without any of its values: what an upstream echoes never reaches a client (S17). */
  blank(text: string): string {
    let blanked = text;
    for (const echo of this.#spellings()) if (blanked.includes(echo)) blanked = blanked.replaceAll(echo, BLANK);
    return blanked;
  }

  #spellings(): readonly string[] {
    this.#echoes ??= echoesOf(this.#sources);
    return this.#echoes;
  }

  toJSON(): string {
    return "[secret]";
  }
}

interface Source {
  readonly injection: Injection;
  readonly secret: SecretText;
}

interface Opened {
  readonly header?: readonly [name: string, value: string];
  readonly query?: readonly [name: string, value: string];
}

function open({ injection, secret }: Source): Opened {
  const value = secret.reveal();
  switch (injection.kind) {
    case "header":
      return { header: headerLine(injection.name, latin1(`${injection.prefix}${value}`)) };
    case "bearer":
      return { header: headerLine("Authorization", `Bearer ${latin1(value)}`) };
    case "basic":
      // RFC 7617 2: a colon would move the border between name and password.
      if (injection.name.includes(":")) throw new TypeError("injection basic: the user name must not contain a colon");
      return { header: headerLine("Authorization", `Basic ${basicPair(injection.name, value)}`) };
    case "query":
      return { query: [injection.name, value] };
  }
}

const basicPair = (name: string, password: string): string => Buffer.from(`${name}:${password}`).toString("base64");

/** The longest first: a value that holds another is blanked whole. */
function echoesOf(sources: readonly Source[]): readonly string[] {
  const texts = sources.flatMap(({ injection, secret }) => {
    const value = secret.reveal();
    return injection.kind === "basic" ? [value, basicPair(injection.name, value)] : [value];
  });
  const spelt = new Set(texts.flatMap(spellingsOf).filter((text) => text.length >= BLANKED_MIN_LENGTH));
  return [...spelt].sort((a, b) => b.length - a.length);
}

function headerLine(name: string, value: string): readonly [string, string] {
  // A line break in a secret would write further headers.
  if (NOT_IN_HEADER.test(value)) throw new TypeError(`injection ${name}: the value has characters no header may hold`);
  return [name, value];
}

/** As UTF-8, each once, the longest first. */
function bytesOf(texts: readonly string[]): readonly Buffer[] {
  const distinct = new Set(texts.map(latin1));
  return [...distinct].map((text) => Buffer.from(text, "latin1")).sort((a, b) => b.length - a.length);
}

/** UTF-8 as the one-character-per-byte text that header lines are made of. */
const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
