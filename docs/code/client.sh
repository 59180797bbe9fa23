curl http://127.0.0.1:5000/api/operations \
  -H 'Content-Type: application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"' \
  --fail-with-body --silent --show-error \
  -d '{
    "atomic:operations": [
      {"op": "add", "data": {"type": "performers", "lid": "new", "attributes": {"artistName": "Blaise"}}},
      {"op": "add", "ref": {"type": "performers", "lid": "new", "relationship": "tracks"}, "data": []}
    ]
  }'
