"""What a task meets of AWS, on one loopback port: endpoints for remote write and OTLP that check
signatures with botocore, STS, the container credential endpoint, task metadata and IMDSv2.

    server.py UPSTREAM [ADDRESS PORT]

Says its port on the first line. Writes that pass are forwarded to UPSTREAM (host:port), and its
answer is returned. GET /_set?key=value changes how the endpoints behave (see STATE), GET /_state
shows what they saw as a page of metrics. Every secret that is handed out contains "s3cret".
"""

import datetime
import hashlib
import http.client
import json
import sys
import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TASK_ROLE = "arn:aws:iam::111122223333:role/task"
STATIC = "AKIASTATIC0000000001"

STATE = {
    "region": "eu-west-1",
    "service": "aps",
    "lifetime_s": 3600,
    "creds_status": 200,
    "creds_token": "",  # what Authorization must be at the container endpoint
    "skew_s": 0,  # this clock minus the machine's
    "valid_from": 0,  # keys handed out earlier have expired
    "session": "",  # the token that the static key comes with
    "deny": "",  # the policy allows nothing
    "echo": "",  # answers 503 and repeats the request's headers
    "role": "arn:aws:iam::444455556666:role/writer",
    "external_id": "",
    "web_token": "web-s3cret",
    "imds": "v2",  # v1, hang
}

lock = threading.Lock()
keys = {}  # access key id to (number, secret, token, expires, arn)
counts = {}


def count(name):
    with lock:
        counts[name] = counts.get(name, 0) + 1


def now():
    return time.time() + STATE["skew_s"]


def issue(arn):
    """A set of credentials; the answer's members as the container endpoint names them."""
    with lock:
        number = len(keys)  # the static key is number 0
        key_id = f"ASIA{number:016}"
        secret, token = f"s3cret/{number}+", f"token-s3cret//{number}=="
        expires = now() + STATE["lifetime_s"]
        keys[key_id] = (number, secret, token, expires, arn)
    at = datetime.datetime.fromtimestamp(expires, datetime.timezone.utc)
    return {
        "AccessKeyId": key_id,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "RoleArn": arn,
    }


class Refused(Exception):
    def __init__(self, code, message, status=403):
        self.status, self.code, self.message = status, code, message


def check_time(amz_date):
    at = datetime.datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ")
    at = at.replace(tzinfo=datetime.timezone.utc).timestamp()
    shown = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now()))
    if at < now() - 300:
        message = f"Signature expired: {amz_date} is now earlier than {shown} ({shown} - 5 min.)"
        raise Refused("InvalidSignatureException", message)
    if at > now() + 300:
        message = f"Signature not yet current: {amz_date} is still later than {shown}"
        raise Refused("InvalidSignatureException", message)


def verify(handler, body, service):
    """Whose request this is; raises Refused for one that AWS would not accept."""
    headers = handler.headers
    authorization = headers.get("Authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256 "):
        raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
    parts = dict(p.split("=", 1) for p in authorization.split(" ", 1)[1].split(", "))
    key_id, date, region, signed_for, _ = parts["Credential"].split("/")
    if key_id not in keys:
        message = "The security token included in the request is invalid."
        raise Refused("UnrecognizedClientException", message)
    number, secret, token, expires, arn = keys[key_id]
    token = STATE["session"] if key_id == STATIC else token
    if headers.get("X-Amz-Security-Token", "") != token:
        message = "The security token included in the request is invalid."
        raise Refused("UnrecognizedClientException", message)
    if number and (number < STATE["valid_from"] or expires < now()):
        message = "The security token included in the request is expired"
        raise Refused("ExpiredTokenException", message)
    check_time(headers["X-Amz-Date"])
    if date != headers["X-Amz-Date"][:8]:
        raise Refused("InvalidSignatureException", "Date in Credential scope does not match")
    if region != STATE["region"]:
        message = "Credential should be scoped to a valid region."
        raise Refused("InvalidSignatureException", message)
    if signed_for != service:
        message = f"Credential should be scoped to correct service: '{service}'."
        raise Refused("InvalidSignatureException", message)
    check_signature(handler, body, parts, (secret, token), (service, region))
    return arn


def check_signature(handler, body, parts, key, scope):
    names = parts["SignedHeaders"].split(";")
    headers = handler.headers
    must = {"host", "x-amz-date"} | {n.lower() for n in headers if n.lower().startswith("x-amz-")}
    must |= {"content-type"} if "Content-Type" in headers else set()
    if not must <= set(names):
        raise Refused("InvalidSignatureException", f"not signed: {must - set(names)}")
    url = f"http://{headers['Host']}{handler.path}"
    request = AWSRequest(handler.command, url, data=body)
    for name in names:
        for value in headers.get_all(name):
            request.headers.add_header(name, value)
    request.context["timestamp"] = headers["X-Amz-Date"]
    declared = headers.get("X-Amz-Content-Sha256")
    if declared is not None:
        count("with_content_sha256")
        if declared != hashlib.sha256(body).hexdigest():
            raise Refused("XAmzContentSHA256Mismatch", "The hash is not the body's", 400)
    secret, token = key
    key_id = parts["Credential"].split("/")[0]
    auth = SigV4Auth(Credentials(key_id, secret, token or None), *scope)
    canonical = auth.canonical_request(request)
    to_sign = auth.string_to_sign(request, canonical)
    if auth.signature(to_sign, request) != parts["Signature"]:
        message = (
            "The request signature we calculated does not match the signature you provided.\n\n"
            f"The Canonical String for this request should have been\n'{canonical}'\n"
        )
        raise Refused("SignatureDoesNotMatch", message)


def xml(action, inner):
    xmlns = "https://sts.amazonaws.com/doc/2011-06-15/"
    result = f"<{action}Result>{inner}</{action}Result>"
    return f'<{action}Response xmlns="{xmlns}">{result}</{action}Response>'


def credentials_xml(action, arn):
    c = issue(arn)
    return xml(
        action,
        f"<AssumedRoleUser><Arn>{arn}/otlet</Arn></AssumedRoleUser><Credentials>"
        f"<AccessKeyId>{c['AccessKeyId']}</AccessKeyId>"
        f"<SecretAccessKey>{c['SecretAccessKey']}</SecretAccessKey>"
        f"<SessionToken>{c['Token']}</SessionToken>"
        f"<Expiration>{c['Expiration']}</Expiration></Credentials>",
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(now() if timestamp is None else timestamp, usegmt=True)

    def answer(self, status, body, headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/_set":
            for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
                STATE[name] = type(STATE[name])(value)
            self.answer(200, "")
        elif path == "/_state":
            with lock:
                lines = [f"{name} {value}\n" for name, value in sorted(counts.items())]
                lines.append(f"keys_issued {len(keys) - 1}\n")
            self.answer(200, "".join(lines))
        elif path.startswith("/creds"):
            self.container()
        elif path.startswith("/latest/"):
            self.imds(path)
        elif path == "/v4/c/task":
            arn = f"arn:aws:ecs:{STATE['region']}:111122223333:task/demo/0a1b2c3d"
            task = {"Cluster": "demo", "TaskARN": arn, "Family": "web", "Revision": "3"}
            self.answer(200, json.dumps(task))
        else:
            self.answer(404, "")

    def container(self):
        count("creds_requests")
        if self.headers.get("Authorization", "") != STATE["creds_token"]:
            self.answer(401, json.dumps({"code": "AccessDenied", "message": "wrong token"}))
        elif STATE["creds_status"] != 200:
            body = {"code": "NoCredentials", "message": "not yet assigned"}
            self.answer(STATE["creds_status"], json.dumps(body))
        else:
            self.answer(200, json.dumps(issue(TASK_ROLE)))

    def do_PUT(self):
        count("imds_tokens")
        if STATE["imds"] == "hang":
            self.rfile.read()  # what a packet that dies at the hop limit looks like
        elif STATE["imds"] == "v1":
            self.answer(404, "")
        elif self.headers["X-aws-ec2-metadata-token-ttl-seconds"].isdigit():
            ttl = ("X-aws-ec2-metadata-token-ttl-seconds", "300")
            self.answer(200, "imds-s3cret==", [ttl])

    def imds(self, path):
        token = self.headers.get("X-aws-ec2-metadata-token")
        folder = "/latest/meta-data/iam/security-credentials/"
        if STATE["imds"] == "hang":
            self.rfile.read()
        elif STATE["imds"] == "v2" and token != "imds-s3cret==":
            self.answer(401, "")
        elif path == folder:
            self.answer(200, "instance-role\n")
        elif path == folder + "instance-role":
            document = issue("arn:aws:sts::111122223333:assumed-role/instance-role/i-0")
            del document["RoleArn"]
            self.answer(200, json.dumps({"Code": "Success", "Type": "AWS-HMAC", **document}))
        elif path == "/latest/dynamic/instance-identity/document":
            self.answer(200, json.dumps({"region": STATE["region"]}))
        elif path == "/latest/meta-data/":
            self.answer(200, "iam/\n")
        else:
            self.answer(404, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/sts":
            try:
                self.answer(200, self.sts(body))
            except Refused as refused:
                count(f'sts_refused{{code="{refused.code}"}}')
                error = f"<Code>{refused.code}</Code><Message>{refused.message}</Message>"
                error = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
                self.answer(refused.status, error)
            return
        try:
            self.write(body)
        except Refused as refused:
            count(f'refused{{code="{refused.code}"}}')
            error = ("x-amzn-ErrorType", refused.code + ":http://internal.amazon.com/")
            self.answer(refused.status, json.dumps({"message": refused.message}), [error])

    def write(self, body):
        if STATE["echo"]:
            count("echoed")
            return self.answer(503, str(self.headers))
        arn = verify(self, body, STATE["service"])
        if STATE["deny"]:
            user = arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/x"
            message = f"User: {user} is not authorized to perform: aps:RemoteWrite on resource: ws"
            raise Refused("AccessDeniedException", message)
        count(f'writes{{arn="{arn}"}}')
        if self.path.startswith("/v1/"):
            return self.answer(200, "")  # an OTLP response that has nothing to say
        upstream = http.client.HTTPConnection(sys.argv[1])
        kept = ["Content-Type", "Content-Encoding", "X-Prometheus-Remote-Write-Version", "User-Agent"]
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        upstream.request("POST", "/api/v1/write", body, headers)
        answer = upstream.getresponse()
        self.answer(200 if answer.status == 204 else answer.status, answer.read())
        upstream.close()

    def sts(self, body):
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        action = form["Action"]
        count(f'sts{{action="{action}"}}')
        if form["Version"] != "2011-06-15":
            raise Refused("NoSuchVersion", form["Version"], 400)
        if action == "AssumeRoleWithWebIdentity":
            if "Authorization" in self.headers or form["WebIdentityToken"] != STATE["web_token"]:
                raise Refused("InvalidIdentityToken", "No such token", 400)
            return credentials_xml(action, form["RoleArn"])
        arn = verify(self, body, "sts")
        if action == "GetCallerIdentity":
            return xml(action, f"<Arn>{arn}</Arn><UserId>u</UserId><Account>1</Account>")
        if form["RoleArn"] != STATE["role"] or form.get("ExternalId", "") != STATE["external_id"]:
            message = f"User: {arn} is not authorized to perform: sts:AssumeRole on resource: it"
            raise Refused("AccessDenied", message)
        return credentials_xml(action, form["RoleArn"])


if __name__ == "__main__":
    address, port = sys.argv[2:] or ["127.0.0.1", "0"]
    keys[STATIC] = (0, "static-s3cret/+", "", 0, "arn:aws:iam::111122223333:user/static")
    server = ThreadingHTTPServer((address, int(port)), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
