/** A message that the proto marks as required. @throws TypeError a bug of ours: validation lets no call without it through */
export function required<Message>(message: Message | undefined): Message {
  if (message === undefined) throw new TypeError("the call was not validated");
  return message;
}
