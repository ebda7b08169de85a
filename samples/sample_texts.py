"""The words of the sample documents, in a small Markdown (`#`, `##`, `- `, `| … |`, `---` for a new page).

All people, firms, places of business and figures are made up; the sums in the financial documents add up.
"""

SERVICE_AGREEMENT = """\
# Master Services Agreement

This Agreement is made on 3 March 2025 between Harrowgate Analytics Ltd, 14 Cable Wharf, Leeds ("the Supplier"),
and Fenwick & Ross Logistics GmbH, Speicherstrasse 41, Hamburg ("the Client").

## 1. Services

The Supplier shall build, host and maintain a forecasting service for the Client's seven European depots, as set out
in Schedule A. Changes to the scope take effect only when both parties have signed a written change order.

## 2. Fees and payment

| Item | Amount | Due |
| Set-up fee | EUR 48,000 | on signature |
| Monthly service fee | EUR 11,250 | first working day |
| Additional consulting, per day | EUR 1,340 | 30 days from invoice |

Invoices not disputed within fifteen days are deemed accepted. Late sums bear interest at eight percentage points
above the base rate of the European Central Bank.

## 3. Service levels

The Supplier warrants availability of 99.5 per cent in each calendar month, planned maintenance excepted. For every
full half-hour of downtime beyond that allowance the Client receives a credit of two per cent of the monthly fee, up
to a ceiling of thirty per cent. Credits are the Client's sole remedy for unavailability.

## 4. Data protection

The Supplier processes personal data on documented instructions only, within the European Economic Area, and reports
any breach within thirty-six hours of becoming aware of it.

---

## 5. Liability

Neither party is liable for loss of profit. The Supplier's total liability in any contract year is limited to the
fees paid in that year. Nothing in this Agreement limits liability for fraud, wilful misconduct or personal injury.

## 6. Term and termination

The Agreement runs for thirty-six months and then renews for successive periods of twelve months unless either party
gives ninety days' written notice. Either party may terminate at once if the other commits a material breach and
fails to cure it within thirty days of notice.

## 7. Governing law

This Agreement is governed by the laws of England and Wales. Disputes go first to mediation in London; if it fails
within sixty days, the courts of London have exclusive jurisdiction.

Signed for the Supplier: Imogen Tarrant, Managing Director

Signed for the Client: Dr Matthias Oehler, Head of Operations
"""

STUDIO_LEASE = """\
# Lease of Studio Premises

Lease dated 19 May 2025 between Marguerite Delacroix-Hughes ("the Landlord") and the Blue Kiln Ceramics Co-operative
("the Tenant"), concerning the ground-floor studio and yard at 7 Tannery Lane, Bristol ("the Premises").

## 1. Term

The lease begins on 1 June 2025 and ends on 31 May 2030. The Tenant may end it on 31 May 2028 by giving the Landlord
at least six months' written notice, provided that no rent is then in arrears.

## 2. Rent and deposit

| Period | Monthly rent | Service charge |
| June 2025 to May 2027 | £1,850 | £210 |
| June 2027 to May 2029 | £1,960 | £225 |
| June 2029 to May 2030 | £2,040 | £240 |

Rent is payable in advance on the first day of each month. The Tenant has paid a deposit of £5,550, which the
Landlord holds in a separate account and returns within twenty-eight days of the end of the lease, less the cost of
repairs for which the Tenant is answerable.

## 3. Use

The Premises may be used for making, firing and selling ceramics, and for classes of up to fourteen people. Kilns
must be inspected every year by a qualified engineer, and gas firing is not permitted between 10 p.m. and 6 a.m.

## 4. Repairs and alterations

The Landlord keeps the roof, the outer walls and the drains in repair. The Tenant keeps the interior in the
condition recorded in the attached schedule of 12 May 2025. The Tenant shall not, without written consent:

- remove or build any wall;
- install a kiln with a chamber larger than 600 litres;
- sublet the yard.

## 5. Insurance and damage

The Landlord insures the building; the Tenant insures its stock and carries public liability cover of at least
£2 million. If fire or flood makes the Premises unusable, rent is suspended until they are fit for use again. Should
that take longer than nine months, either party may end the lease by four weeks' notice.

## 6. Forfeiture

The Landlord may re-enter the Premises if rent is more than twenty-one days late, or if the Tenant has not remedied a
serious breach within a reasonable time after notice.

Signed as a deed by Marguerite Delacroix-Hughes, and by Tomasz Wierzbicki and Anjali Rao for the Co-operative.
"""

QUARTERLY_STATEMENT = """\
# Northmere Instruments plc

## Unaudited statement for the three months ended 30 September 2025

Revenue rose by 9.0 per cent to £18.4 million. Demand for pressure sensors from makers of heat pumps more than made up
for a weaker market for spare parts. Gross margin improved from 39.0 to 41.0 per cent, because the Dundee line has run
at full capacity since June and the price of ceramic substrates fell.

| £ thousand | Q3 2025 | Q3 2024 |
| Revenue | 18,420 | 16,905 |
| Cost of sales | (10,868) | (10,312) |
| Gross profit | 7,552 | 6,593 |
| Research and development | (1,935) | (1,780) |
| Sales and marketing | (1,612) | (1,548) |
| Administration | (1,244) | (1,301) |
| Operating profit | 2,761 | 1,964 |
| Net finance cost | (186) | (214) |
| Profit before tax | 2,575 | 1,750 |
| Tax | (618) | (420) |
| Profit for the period | 1,957 | 1,330 |

Earnings per share were 4.9 pence (2024: 3.3 pence). The board has declared an interim dividend of 1.2 pence, payable
on 12 December 2025 to holders on the register on 21 November.

---

## Revenue by segment

| £ thousand | Q3 2025 | Q3 2024 | Change |
| Sensors | 9,870 | 8,410 | +17.4 % |
| Calibration services | 5,215 | 5,020 | +3.9 % |
| Spare parts | 3,335 | 3,475 | -4.0 % |
| Total | 18,420 | 16,905 | +9.0 % |

## Cash and debt

Operating cash flow was £2.2 million, held back by stock built up before the move of the Lincoln warehouse; inventory
now stands at 94 days of sales, against 88 a year ago. Net debt fell to £8.15 million, or 0.8 times EBITDA, well
inside the covenant of 2.5 times. The revolving facility of £15 million runs until March 2028.

## Outlook and risks

The order book of £24.6 million equals four months of sales at the present rate. The board now expects full-year
revenue of £71 to 73 million. Two risks deserve attention: one customer, a Danish maker of compressors, accounts for
21 per cent of revenue, and a stronger pound would cost about £0.3 million of profit for every five per cent.

Philippa Langstaff, Chief Financial Officer, 28 October 2025
"""

ANNUAL_RESULTS = """\
# Annual results of the Osterby Community Bakery, 2024–25

## Treasurer's report to the members

In the year to 31 March 2025 the bakery sold 212,400 loaves, nine thousand more than in the year before, and made a
surplus of 19,960 euros. It is the first surplus since we bought the second oven in 2022. Three things brought it
about: the contract with the four primary schools, a cut in flour waste from 6.1 to 3.8 per cent, and a winter in
which the ovens ran on the new tariff for off-peak power.

## Income and expenditure

| Euros | 2024–25 | 2023–24 |
| Shop sales | 418,300 | 401,750 |
| Schools and cafés | 163,900 | 121,200 |
| Courses and events | 24,650 | 22,980 |
| Total income | 606,850 | 545,930 |
| Wages | 301,400 | 284,600 |
| Flour and other ingredients | 152,780 | 149,310 |
| Energy | 61,240 | 72,890 |
| Rent and insurance | 38,900 | 37,500 |
| Interest and depreciation | 32,570 | 34,020 |
| Total expenditure | 586,890 | 578,320 |
| Surplus or (deficit) | 19,960 | (32,390) |

## Balance sheet in brief

On 31 March the bakery owned equipment worth 143,000 euros and held 58,400 euros in the bank. The loan from the
Regional Co-operative Bank stood at 96,500 euros; it falls due in equal parts until September 2029, at a fixed rate
of 4.15 per cent. Members' shares amount to 74,250 euros, held by 495 people.

## What the committee proposes

- Put 12,000 euros into the reserve, which will then cover seven weeks of wages.
- Pay a member dividend of two per cent, 1,485 euros in all.
- Carry 6,475 euros forward towards a delivery bicycle and a new dough divider.

## A word of caution

Schools and cafés now bring in 27 per cent of our income. The school contract ends in July 2026 and will be put out
to tender. Without it, on present costs, we would be back in deficit within one quarter.

Henrik Aalto, Treasurer, 6 May 2025
"""

LAMPLIGHTERS = """\
# The last lamplighters of Vellan Quay

*By Rosalind Achterberg, photographs by Idris Penhaligon*

At ten past four on a December afternoon, Wilf Trevanion leans his bicycle against the harbour wall, lifts a
nine-foot pole from the crossbar and looks up. There are 63 gas lamps on Vellan Quay. He will have lit them all before
the ferry comes in at five, as he has done for thirty-one winters.

Vellan is one of a handful of towns that never changed to electric light. It was not love of the past that saved the
lamps. In 1958 the council voted to remove them, then found that the cables would have to cross a harbour bed that
belonged to three owners, two of whom were not on speaking terms. The vote was put off, and put off again, until the
lamps had become old enough to be worth keeping.

## A trade in two minutes

The work looks simple. A hook at the end of the pole opens the tap; a small flame in a brass cup does the rest. What
cannot be seen from below is the mantle, a thimble of silk and thorium-free ash that crumbles at a touch.

> "Wind from the east, you wait between gusts," says Trevanion. "Wind from the west, you go home and let the young
> one do it."

The young one is Merryn Okafor, twenty-six, who left a job in insurance to become his apprentice in 2023. She has
drawn the first map of the system, measured the pressure at every post, and found a leak that had cost the town some
£2,300 a year since the eighties.

## What it costs

- Gas: £14,800 a year for all 63 lamps
- Mantles and glass: £3,150
- Wages: one and a half posts

Electric lanterns would cost a third of that. But the hoteliers, who asked visitors last summer, report that four out
of ten had come because of the light. A trust founded in April has raised £41,000 and is looking into burners for
hydrogen.

Trevanion will retire in March. On his last evening, he says, he means to walk the quay without the pole, and for once
look at the water.
"""

GARDEN_MINUTES = """\
# Minutes of the Larkspur Street Community Garden

## Spring meeting, 8 April 2025, 7 p.m., St Brannoc's hall

Present: Dolores Kimani (chair), Ewan Fairbairn (secretary), Lucía Prado, Sam Oduya, Beatrix Holm and nineteen
members. Apologies: Geoffrey Lunt, who is recovering well from his knee operation.

## 1. Water

The rain tanks were empty by the end of July last year. Sam presented three offers for a larger tank. The meeting
preferred the second, a used 5,000-litre tank from the brewery for £380, to be fetched on 26 April. Beatrix will ask
the church whether its roof may be connected to ours.

## 2. Plots and waiting list

| Plots | This year | Last year |
| Let | 44 | 42 |
| Being cleared | 3 | 6 |
| Families waiting | 17 | 11 |

To shorten the waiting list, plots of more than forty square metres will be halved when they fall vacant. This was
agreed by 16 votes to 5, with three abstentions. Mr Castellanos asked that the old pear tree on plot 12 be left out of
any division; nobody objected.

## 3. Slugs, again

Lucía reported on her trial. Beer traps caught most, but also drowned beetles; copper tape did nothing; evening
collection with torches, by children paid a penny a slug, removed 1,146 slugs in nine nights. The treasurer noted the
cost of £11.46. The children's offer to carry on at the same rate was accepted with applause.

## 4. Summer fair

- Date: Saturday 21 June, from 11 a.m. until dusk
- Music: the Tuesday Brass, who ask only for lunch
- Plant stall: every plot gives at least six seedlings, labelled
- Cakes: please tell Ewan by 1 June what you will bring, and what is in it

Last year's fair brought in £742. A third of this year's takings goes to the school's bee project.

## 5. Any other business

The shed key is missing once more. Whoever has it is asked to put it through the door of number 31, no questions asked.

The meeting closed at 8.40 p.m. Next meeting: 9 September.
"""
