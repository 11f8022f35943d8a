import type { DescService } from "@bufbuild/protobuf";

/** A service and its implementation, as the listeners mount them. */
export interface ControlService {
  readonly service: DescService;
  readonly implementation: object;
}
