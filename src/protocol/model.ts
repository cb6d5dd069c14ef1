import type { Service } from "../contracts/service.ts";
import { loadConstraints } from "./constraints.ts";
import type { ConstraintFile, ShapeConstraint } from "./constraints.ts";
import { errorsOf, nameOf, operationsOf } from "./schema.ts";
import type { ErrorShape, OperationShape, Schema } from "./schema.ts";

/** All that is known of a service's wire: the SDK's schemas and the data file beside them. */
export interface ServiceModel {
  readonly operations: ReadonlyMap<string, OperationShape>;
  readonly errors: ReadonlyMap<string, ErrorShape>;
  readonly constraints: Constraints;
}

/** Looks constraints up: by structure and member, and from there by shape name. */
export class Constraints {
  readonly file: ConstraintFile;
  /** Without a data file the kinds of numbers are not known, so any number is let through. */
  readonly known: boolean;

  constructor(file: ConstraintFile) {
    this.file = file;
    this.known = file.service !== "";
  }

  ofMember(structure: Schema, member: string): ShapeConstraint | undefined {
    return this.shape(this.file.members[nameOf(structure)]?.[member]);
  }

  shape(name: string | undefined): ShapeConstraint | undefined {
    return name === undefined ? undefined : this.file.shapes[name];
  }

  /** Whether the operation may answer this error, as the model lists it. */
  listsError(operation: string, error: string): boolean {
    return this.file.operations[operation]?.includes(error) ?? false;
  }
}

/** Imports the SDK client's schemas and reads the constraints. Slow (tens of ms): once a service, at its first request. */
export async function loadServiceModel(service: Service): Promise<ServiceModel> {
  const [module, constraints] = await Promise.all([service.loadSchemas(), loadConstraints(service.name)]);
  return { operations: operationsOf(module), errors: errorsOf(module), constraints: new Constraints(constraints) };
}
