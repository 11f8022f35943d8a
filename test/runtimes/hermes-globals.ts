// What React Native gives to JavaScript and the bare VM of Hermes lacks, as little of it as the core uses. Imported before the SDK.

class FakeHeaders {
  private readonly lines = new Map<string, string>();
  constructor(init?: FakeHeaders | Readonly<Record<string, string>>) {
    if (init instanceof FakeHeaders) for (const [name, value] of init.lines) this.lines.set(name, value);
    else for (const [name, value] of Object.entries(init ?? {})) this.set(name, value);
  }
  get(name: string): string | null {
    return this.lines.get(name.toLowerCase()) ?? null;
  }
  set(name: string, value: string): void {
    this.lines.set(name.toLowerCase(), value);
  }
}

/** Absolute http URLs in normal form only. */
class FakeUrl {
  readonly href: string;
  constructor(text: string) {
    if (!/^https?:\/\//.test(text)) throw new TypeError("Invalid URL");
    this.href = text;
  }
}

class FakeSignal {
  aborted = false;
  private readonly listeners = new Set<() => void>();
  addEventListener(_type: string, listener: () => void): void {
    this.listeners.add(listener);
  }
  removeEventListener(_type: string, listener: () => void): void {
    this.listeners.delete(listener);
  }
  end(): void {
    this.aborted = true;
    for (const listener of this.listeners) listener();
  }
}

/** As React Native's: without a reason. */
class FakeAbortController {
  readonly signal = new FakeSignal();
  abort(): void {
    this.signal.end();
  }
}

Object.assign(globalThis, { Headers: FakeHeaders, URL: FakeUrl, AbortController: FakeAbortController });
