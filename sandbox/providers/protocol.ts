import { createRequire } from "node:module";
import type * as Grpc from "@grpc/grpc-js";

// The protocol's messages and its gRPC library come with @pulumi/pulumi: they are found from there, not from our own
// dependencies, so that both ends always speak the same version.
const fromPulumi = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi"));

export const grpc: typeof Grpc = fromPulumi("@grpc/grpc-js");
export const providers: typeof import("@pulumi/pulumi/proto/provider_pb.js") = fromPulumi(
  "@pulumi/pulumi/proto/provider_pb",
);
export const plugins: typeof import("@pulumi/pulumi/proto/plugin_pb.js") = fromPulumi(
  "@pulumi/pulumi/proto/plugin_pb",
);
export const engines: typeof import("@pulumi/pulumi/proto/engine_pb.js") = fromPulumi(
  "@pulumi/pulumi/proto/engine_pb",
);
export const {
  ResourceProviderService,
}: typeof import("@pulumi/pulumi/proto/provider_grpc_pb.js") = fromPulumi(
  "@pulumi/pulumi/proto/provider_grpc_pb",
);
export const { EngineClient }: typeof import("@pulumi/pulumi/proto/engine_grpc_pb.js") = fromPulumi(
  "@pulumi/pulumi/proto/engine_grpc_pb",
);
export const { Struct }: typeof import("google-protobuf/google/protobuf/struct_pb.js") = fromPulumi(
  "google-protobuf/google/protobuf/struct_pb",
);
export const { Empty }: typeof import("google-protobuf/google/protobuf/empty_pb.js") = fromPulumi(
  "google-protobuf/google/protobuf/empty_pb",
);
