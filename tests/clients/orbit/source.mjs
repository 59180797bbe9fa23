// How an application with Orbit sends operations: nothing here knows the demo.

// <register>
import {
  ClientError,
  JSONAPIAtomicOperationsDocumentSerializer,
  JSONAPIAtomicOperationSerializer,
  JSONAPIAtomicResultsDocumentSerializer,
  JSONAPISerializers,
  JSONAPISource,
} from "@orbit/jsonapi";
import { buildSerializerClassFor } from "@orbit/serializers";

const MEDIA_TYPE = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"';

// Orbit's own class takes a result for a resource; a result has a resource, or is empty.
class ResultsDocumentSerializer extends JSONAPIAtomicResultsDocumentSerializer {
  deserializeAtomicResults(results) {
    return results.map(({ data }) => (data ? this.resourceSerializer.deserialize(data) : null));
  }
}

export function createSource(schema, host, serializers = {}) {
  return new JSONAPISource({
    schema,
    host,
    namespace: "api",
    serializerClassFor: buildSerializerClassFor({
      [JSONAPISerializers.ResourceAtomicOperationsDocument]: JSONAPIAtomicOperationsDocumentSerializer,
      [JSONAPISerializers.ResourceAtomicResultsDocument]: ResultsDocumentSerializer,
      ...serializers,
    }),
    defaultFetchSettings: { headers: { Accept: MEDIA_TYPE, "Content-Type": MEDIA_TYPE } },
  });
}
// </register>

// <perform>
export async function perform(source, terms) {
  const operations = terms.map((term) => term.toOperation());
  const { serializerFor, urlBuilder } = source.requestProcessor;
  const url = [urlBuilder.resourceHost(), urlBuilder.resourceNamespace(), "operations"].join("/");
  const json = serializerFor(JSONAPISerializers.ResourceAtomicOperationsDocument).serialize({ operations });
  const { response, document } = await source.requestProcessor.fetch(url, { method: "POST", json });
  if (response.status === 404) {
    // The one refusal for which `fetch` does not throw; it leaves the body to be read.
    throw Object.assign(new ClientError(response.statusText), { response, data: await response.json() });
  }
  if (document === undefined) return operations.map(() => null); // 204: all results are empty
  return serializerFor(JSONAPISerializers.ResourceAtomicResultsDocument).deserialize(document).results;
}
// </perform>

// <mended>
export class OperationSerializer extends JSONAPIAtomicOperationSerializer {
  serializeAddToRelatedRecordsOperation(operation) {
    const { data, ...rest } = super.serializeAddToRelatedRecordsOperation(operation);
    return { ...rest, data: [data] };
  }

  serializeRemoveFromRelatedRecordsOperation(operation) {
    const { data, ...rest } = super.serializeRemoveFromRelatedRecordsOperation(operation);
    return { ...rest, data: [data] };
  }
}
// </mended>
