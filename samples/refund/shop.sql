-- A small shop for 'starter.py refund': sqlite3 shop.db < samples/refund/shop.sql
-- An order is refunded at most once, whoever asks at the same time: that is what the primary key of refunds is for.
CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    email TEXT NOT NULL,
    paid_cents INTEGER NOT NULL
);
CREATE TABLE refunds (
    order_id TEXT PRIMARY KEY REFERENCES orders (id),
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    reason TEXT NOT NULL
);
INSERT INTO orders VALUES
    ('ORD-1001', 'Ann Berg', 'ann@example.org', 24000),
    ('ORD-1002', 'Ben Holm', 'ben@example.org', 4500),
    ('ORD-1003', 'Cleo Marsh', 'cleo@example.org', 89900);
