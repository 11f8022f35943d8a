/** Version of this software: what proxies report and a new installation notes. */
export const VERSION = "0.1.0";
