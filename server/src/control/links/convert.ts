import type { Link as LinkMessage } from "@conduit-link/proto/conduit/v1/link_service_pb";
import type { ConfigChange } from "../../model/config-resource.ts";
import type { Link } from "../../model/link.ts";
import { linkName } from "../../model/resource-name.ts";
import type { LinkRow } from "../../store/links.ts";
import { type Condition, linkToProto } from "../../wire/link.ts";
import { metaOf } from "../etag.ts";

export const linkOf = ({ project, id, spec }: Pick<LinkRow, "project" | "id" | "spec">): Link => ({
  ...spec,
  name: linkName(project, id),
});

/** The link without its name, as its row holds it. */
export function specOf(link: Link): LinkRow["spec"] {
  const { name: _name, ...spec } = link;
  return spec;
}

/** @param rejectedBy how many of the proxies keep an older version of it */
export function linkMessageOf(row: LinkRow, rejectedBy: { count: number; of: number } | undefined): LinkMessage {
  const link = linkOf(row);
  return linkToProto(link, metaOf(row), [...audienceConditions(link), ...rejectedConditions(rejectedBy)]);
}

/** What the proxies get of a link: itself but for what is about minting, and its debug keys as hashes. */
export function linkChange({ tokenClaims: _mintedClaims, ...link }: Link, keys: LinkRow["debugKeys"]): ConfigChange {
  const debugKeys = keys.map(({ keyHash, expireTimeMs }) => ({ keyHash, expireTimeMs }));
  return { op: "upsert", resource: { kind: "link", name: link.name, link, debugKeys } };
}

const audienceConditions = (link: Link): Condition[] =>
  link.anyAudience && link.issuers.length > 0
    ? [
        {
          type: "AUDIENCE_UNCHECKED",
          message:
            "any_audience is set: tokens that the issuers made for other applications are accepted too; list audiences instead",
        },
      ]
    : [];

const rejectedConditions = (rejectedBy: { count: number; of: number } | undefined): Condition[] =>
  rejectedBy === undefined || rejectedBy.count === 0
    ? []
    : [
        {
          type: "REJECTED_BY_PROXIES",
          message: `${rejectedBy.count} of ${rejectedBy.of} proxies could not apply this version and keep the one before: see ListProxies`,
        },
      ];
