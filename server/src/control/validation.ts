import { pathToString } from "@bufbuild/protobuf/reflect";
import { ValidationError, type Violation } from "@bufbuild/protovalidate";
import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { createValidateInterceptor } from "@connectrpc/validate";
import { invalidFields } from "../model/errors.ts";

/** Checks requests against the constraints in the proto; throws `field_invalid` naming each wrong field by its path. */
export function validation(): Interceptor {
  const validate = createValidateInterceptor();
  return (next) => {
    const checked = validate(next);
    return async (request) => {
      try {
        return await checked(request);
      } catch (thrown) {
        throw thrown instanceof ConnectError ? asInvalidFields(thrown) : thrown;
      }
    };
  };
}

function asInvalidFields(error: ConnectError): Error {
  if (!(error.cause instanceof ValidationError)) return error;
  return invalidFields(error.cause.violations.map(toFieldViolation));
}

/** protovalidate's texts name the rule and never the value. A rule on a whole message has no field: it says so itself. */
const toFieldViolation = (violation: Violation) => ({
  field: pathToString(violation.field),
  description: violation.message,
});
