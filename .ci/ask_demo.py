"""Ask the demo at a base URL for its page, and to perform a request whose operations lean on each other."""

import json
import sys
from urllib.request import ProxyHandler, Request, build_opener

TIMEOUT = 30
JSONAPI = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'

COMPANY = {"type": "recordCompanies", "lid": "company", "attributes": {"name": "Continuous Records"}}
TRACK = {
    "type": "musicTracks",
    "attributes": {"title": "Integration"},
    "relationships": {"ownedBy": {"data": {"type": "recordCompanies", "lid": "company"}}},
}


def main(base: str) -> None:
    """Print the answer; any other than the expected one is an exception."""
    opener = build_opener(ProxyHandler({}))
    with opener.open(f"{base}/", timeout=TIMEOUT) as page:
        assert page.status == 200, page.status
    document = {"atomic:operations": [{"op": "add", "data": COMPANY}, {"op": "add", "data": TRACK}]}
    request = Request(
        f"{base}/api/operations",
        data=json.dumps(document).encode(),
        headers={"Content-Type": JSONAPI, "Accept": JSONAPI},
    )
    with opener.open(request, timeout=TIMEOUT) as answer:
        results = json.load(answer)["atomic:results"]
        assert answer.status == 200, answer.status
    company, track = (result["data"] for result in results)
    owner = track["relationships"]["ownedBy"]["data"]
    assert owner == {"type": "recordCompanies", "id": company["id"]}, owner
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main(sys.argv[1])
