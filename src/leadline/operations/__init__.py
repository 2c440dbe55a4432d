"""What can be done: one operation is one transaction, opened by whoever calls `Database.write` or `.read`.

An operation takes the transaction first, then the workspace's id, then what it is about in parsed form. It
answers with the public shapes of `leadline.wire` or raises an error of `leadline.domain.errors`.
"""
