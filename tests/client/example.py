"""Asks, takes an offered question or sends the customer to people: the whole of a bot in Python.

The client comes from /openapi.json:  openapi-python-client generate --url http://127.0.0.1:8080/openapi.json --meta none --output-path zhida_client
"""

import sys

from zhida_client import Client
from zhida_client.api.default import answer, feedback
from zhida_client.models import AnswerRequest, FeedbackRequest

address, session = sys.argv[1], "example"
zhida = Client(base_url=address)

for text in ["几点上班", "转人工"]:
    got = answer.sync(client=zhida, body=AnswerRequest(text=text, session=session, kb="shop"))
    print(text, got.decision, got.answer.entry if got.answer else None)
    if got.answer:
        feedback.sync(client=zhida, body=FeedbackRequest(trace_id=got.trace_id, solved=True))
