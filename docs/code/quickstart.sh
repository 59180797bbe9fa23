curl http://127.0.0.1:5000/api/operations \
  -H 'Content-Type: application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"' \
  -d @request.json
