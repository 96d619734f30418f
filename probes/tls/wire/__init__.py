"""The TLS wire layer: bytes out, bytes in, and what they say.

It asks servers questions with hand-built ClientHellos and with real handshakes and reports the answers as
closed unions (``answers``). It knows code points, not contracts: nothing here judges, and nothing here
imports the rest of keycheck. Import the modules by name; ``context`` and ``handshake`` load
OpenSSL, ``flight`` loads ``cryptography``; the others need the standard library alone.

==================  ==========================================================================================
``codepoints``      IANA registries: versions, cipher suites, groups, signature schemes, alerts, extensions
``answers``         what a server can answer: accepted, refused, broken, garbage, nothing
``hello``           builds ClientHellos (TLS and SSLv2) from frozen specifications
``messages``        bounded readers of single handshake messages
``parse``           incremental reader of a server's first flight
``question``        one hello and its answer as a conversation of the transport
``prelude``         what is said before TLS: HTTP CONNECT, STARTTLS in SMTP and IMAP, PostgreSQL's SSLRequest
``transport``       many conversations side by side in one thread, bounded in bytes and time
``stamps``          when bytes arrived, by the kernel's own stamp
``flight``          a recorded handshake read again, TLS 1.3 decrypted with the session's own secrets
``context``         OpenSSL contexts and connections for ``handshake``
``http_head``       one GET and the bounded head of its response
``handshake``       real handshakes through OpenSSL as conversations of the same transport
==================  ==========================================================================================
"""
