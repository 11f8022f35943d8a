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

/** @param rejectedBy undefined = nobody asked */
export function linkMessageOf(row: LinkRow, rejectedBy: RejectedBy | undefined): LinkMessage {
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

/** What proxies say of a link: how many of how many keep an older version, and why, as one of them says. */
export interface RejectedBy {
  readonly count: number;
  readonly of: number;
  readonly message: string;
}

const rejectedConditions = (by: RejectedBy | undefined): Condition[] =>
  by === undefined || by.count === 0
    ? []
    : [
        {
          type: "REJECTED_BY_PROXIES",
          message: `Rejected by ${by.count} of ${by.of} proxies, which keep the version before: ${by.message}`,
        },
      ];
