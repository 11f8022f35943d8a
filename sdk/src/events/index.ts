export { createEventParser, type EventParser, type ServerEvent, type StreamItem } from "./event-parser.ts";
export { type StreamEventsOptions, streamEvents } from "./stream-events.ts";
