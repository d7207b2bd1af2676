CREATE TABLE shop (
    id serial PRIMARY KEY,
    name varchar(20) NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('bakery', 'bookshop'))
);
CREATE TABLE item (
    id serial PRIMARY KEY,
    shop_id integer NOT NULL REFERENCES shop,
    title text NOT NULL,
    made timestamptz NOT NULL DEFAULT clock_timestamp()
);
