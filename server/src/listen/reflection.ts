import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "@conduit-link/proto/google/rpc/error_details_pb";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/**
 * Adds gRPC server reflection (v1 and v1alpha) for the services, fed from the generated code's own descriptors: no `.proto`
 * files at run time. Tells everybody who connects what methods there are, so it is on only when asked for.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const files = new Map<string, Buffer>();
  const collect = (file: DescFile): void => {
    if (files.has(file.name)) return;
    files.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
    file.dependencies.forEach(collect);
  };
  for (const service of services) collect(service.file);
  // Details of errors travel as Any, so no service imports them; tools such as grpcurl ask for their form here.
  collect(file_google_rpc_error_details);
  // Of a package definition, only the descriptors are read.
  const definition = { conduit: { fileDescriptorProtos: [...files.values()] } } as unknown as PackageDefinition;
  new ReflectionService(definition, { services: services.map((service) => service.typeName) }).addToServer(server);
}
