import { proxyToLink } from "../../../../lib/conduit";

const handler = proxyToLink();

export { handler as DELETE, handler as GET, handler as PATCH, handler as POST, handler as PUT };
