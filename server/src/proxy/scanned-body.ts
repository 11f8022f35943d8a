import type { EchoScanner } from "./echo-scanner.ts";
import type { AnswerBody, BodyReceiver } from "./exchange.ts";

/** An answer's body on its way to the client, without the link's hidden credentials. */
export class ScannedBody implements AnswerBody, BodyReceiver {
  readonly #source: AnswerBody;
  readonly #scanner: EchoScanner;
  #receiver: BodyReceiver | undefined;

  constructor(source: AnswerBody, scanner: EchoScanner) {
    this.#source = source;
    this.#scanner = scanner;
  }

  flowTo(receiver: BodyReceiver): void {
    this.#receiver = receiver;
    this.#source.flowTo(this);
  }

  resume(): void {
    this.#source.resume();
  }

  abort(): void {
    this.#source.abort();
  }

  write(chunk: Uint8Array): boolean {
    const clean = this.#scanner.push(chunk);
    return clean.length === 0 || this.#receiver === undefined || this.#receiver.write(clean);
  }

  end(lastChunk?: Uint8Array): void {
    const clean = lastChunk === undefined ? [] : [this.#scanner.push(lastChunk)];
    this.#receiver?.end(Buffer.concat([...clean, this.#scanner.end()]));
  }

  fail(cause: Error): void {
    this.#receiver?.fail(cause);
  }
}
