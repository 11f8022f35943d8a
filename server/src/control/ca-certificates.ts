import { X509Certificate } from "node:crypto";

/** What is wrong with certificate authorities in PEM; an unreadable one would stop every connection, and say so only then. */
export function caProblem(text: string): string | undefined {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.length > 0 && blocks.every(isCertificate) ? undefined : "must be certificates in PEM";
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).publicKey !== undefined;
  } catch {
    return false;
  }
}
