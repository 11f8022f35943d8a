import { proxyToLink } from "../../../lib/conduit";

// The body's bytes go on as they came.
export const config = { api: { bodyParser: false } };

export default proxyToLink();
