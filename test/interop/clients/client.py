"""A client of the control plane in Python, on code generated from our protos: `client.py calls` and `client.py verify`,
settings as JSON on stdin, what was answered as JSON on stdout. foreign-client.ts says what must have been answered."""

import json
import sys

import grpc
import jwt
from conduit.v1 import link_service_pb2, link_service_pb2_grpc
from conduit.v1 import session_service_pb2, session_service_pb2_grpc
from conduit.v1 import token_service_pb2, token_service_pb2_grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

TIMEOUT_S = 30


def failure_of(call):
    """What went wrong, as the standard library of gRPC reads it."""
    try:
        call()
    except grpc.RpcError as error:
        read = {"Code": error.code().name, "Reason": "", "Domain": "", "Fields": []}
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                read["Reason"], read["Domain"] = info.reason, info.domain
            if detail.Unpack(request):
                read["Fields"] += [violation.field for violation in request.field_violations]
        return read
    return {"Code": "OK"}


class Client:
    def __init__(self, given):
        self.given = given
        self.channel = grpc.insecure_channel(given["Address"])
        self.key = [("authorization", "Bearer " + given["ApiKey"])]
        self.tokens = token_service_pb2_grpc.TokenServiceStub(self.channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self.links = link_service_pb2_grpc.LinkServiceStub(self.channel)

    def call(self, method, request):
        return method(request, metadata=self.key, timeout=TIMEOUT_S)

    def mint_request(self, subject, **fields):
        request = token_service_pb2.MintTokenRequest(
            parent=self.given["Project"], subject=subject, links=[self.given["Link"]], **fields
        )
        request.claims.update({"email": "a@b.example"})
        return request

    def health(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        status = stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status
        return health_pb2.HealthCheckResponse.ServingStatus.Name(status)

    def deadline(self):
        """Health's Watch stays silent after its first answer, so that the deadline is what ends it."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        return failure_of(lambda: list(stub.Watch(health_pb2.HealthCheckRequest(), timeout=0.3)))

    def failures(self):
        parent = self.given["Project"]
        no_link = link_service_pb2.GetLinkRequest(name=parent + "/links/none")
        wrong_page = link_service_pb2.ListLinksRequest(parent=parent, page_token="invented")
        return {
            "withoutKey": failure_of(lambda: self.tokens.MintToken(self.mint_request("x"), timeout=TIMEOUT_S)),
            "wrongField": failure_of(lambda: self.call(self.tokens.MintToken, self.mint_request(""))),
            "notFound": failure_of(lambda: self.call(self.links.GetLink, no_link)),
            "wrongPage": failure_of(lambda: self.call(self.links.ListLinks, wrong_page)),
        }

    def kept_and_revoked(self):
        subject, parent = self.given["Subjects"][0], self.given["Project"]
        kept = self.call(self.tokens.MintToken, self.mint_request(subject))
        revoked = self.call(self.tokens.MintToken, self.mint_request(subject))
        target = token_service_pb2.RevokeTokenRequest(parent=parent, token_id=revoked.token_id, reason="stolen")
        self.call(self.tokens.RevokeToken, target)
        asked = token_service_pb2.IntrospectTokenRequest(parent=parent, token=revoked.access_token)
        known = self.call(self.tokens.IntrospectToken, asked)
        return {
            "kept": {"token": kept.access_token, "expiresIn": kept.expires_in},
            "revoked": {"token": revoked.access_token, "active": known.active},
        }

    def ended_session(self):
        """Opens sessions, refreshes the last and ends it: what its next refresh token is told."""
        options = token_service_pb2.SessionOptions(device_label="python")
        requests = [self.mint_request(subject, session=options) for subject in self.given["Subjects"]]
        opened = [self.call(self.tokens.MintToken, request) for request in requests]
        refresh = lambda token: self.tokens.RefreshToken(
            token_service_pb2.RefreshTokenRequest(refresh_token=token), timeout=TIMEOUT_S
        )
        refreshed = refresh(opened[-1].refresh_token)
        end = session_service_pb2.RevokeSessionRequest(name=refreshed.session, reason="signed out")
        self.call(self.sessions.RevokeSession, end)
        return {"token": refreshed.access_token, "refused": failure_of(lambda: refresh(refreshed.refresh_token))}

    def pages(self, method, request_type, size, names):
        """Every page of a list, by the names on it."""
        found, token = [], ""
        while True:
            answer = self.call(method, request_type(parent=self.given["Project"], page_size=size, page_token=token))
            found.append(names(answer))
            token = answer.next_page_token
            if not token:
                return found


def calls(given):
    client = Client(given)
    reflected = ProtoReflectionDescriptorDatabase(client.channel).get_services()
    report = {
        "health": client.health(),
        "services": sorted(reflected),
        "deadline": client.deadline(),
        "failures": client.failures(),
        **client.kept_and_revoked(),
        "ended": client.ended_session(),
    }
    link_names = lambda answer: [link.name for link in answer.links]
    report["links"] = client.pages(client.links.ListLinks, link_service_pb2.ListLinksRequest, 1, link_names)
    subjects = lambda answer: [session.subject for session in answer.sessions]
    list_sessions = session_service_pb2.ListSessionsRequest
    report["sessions"] = client.pages(client.sessions.ListSessions, list_sessions, 2, subjects)
    return report


def verify(given):
    """A token of ours, verified by PyJWT with the key that our key set names."""
    try:
        key = jwt.PyJWKClient(given["Jwks"]).get_signing_key_from_jwt(given["Token"])
        claims = jwt.decode(
            given["Token"],
            key,
            algorithms=["ES256"],
            issuer=given["Issuer"],
            audience=given["Audience"],
            options={"require": ["exp", "iat", "sub"]},
        )
        return {"header": jwt.get_unverified_header(given["Token"]), "claims": claims}
    except jwt.PyJWTError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    print(json.dumps({"calls": calls, "verify": verify}[sys.argv[1]](json.load(sys.stdin))))
