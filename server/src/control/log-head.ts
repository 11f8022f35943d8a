import { getConfigHead, knownHead } from "../store/config-head.ts";
import type { Reader } from "../store/database.ts";

/** Sequence at the head of the log: the `config_sequence` of calls that change nothing the proxies know. */
export const headSequence = async (reader: Reader): Promise<bigint> => knownHead(await getConfigHead(reader)).sequence;
