"""Ways of saying no, in more than ten languages; none of them may ever approve."""

LISTED = """
nope; nah; no way; declined; decline; no-go; no go; abort; aborted; veto; vetoed; don't; don’t; do not; disapproved;
disapprove; not approved; not ok; not okay; not yes; unapproved; hold; hold on; wait; stop; later; never; cancel;
cancelled; canceled; denied; rejected; refused; negative; nay; forbidden; prohibited; block; blocked; halt; nack;
nak; -1; 0; false; n; no; n/a; none; null; please don't; i disagree; disagree; disagreed; i'd rather not;
absolutely not; certainly not; of course not; yes and no; yes, but no; yes?; ok?; approved?; not yet; maybe;
maybe later; unsure; i don't know; do not approve; don't approve; cannot approve; can't approve; won't approve;
i refuse; thumbs down; over my dead body; approve? no; yeah, no; yeah no; ok, no; y/n; nope, not ok; nein; nö; nee;
auf keinen fall; niemals; abgelehnt; ablehnen; verweigert; nicht genehmigt; nicht freigegeben; nicht ok;
keinesfalls; stopp; abbrechen; lieber nicht; noch nicht; ich lehne ab; kommt nicht in frage; ja, aber nein; jein;
untersagt; verboten; bloß nicht; non; jamais; refusé; refuser; je refuse; rejeté; pas d'accord; pas question;
hors de question; surtout pas; annuler; interdit; non merci; pas encore; certainement pas; non approuvé;
désapprouvé; arrête; en aucun cas; de ninguna manera; rechazado; rechazada; denegado; denegada; nunca; jamás;
negado; no aprobado; no apruebo; cancelar; todavía no; para; alto; ni hablar; prohibido; no, gracias; en absoluto;
desaprobado; mai; rifiutato; rifiuto; respinto; negato; non approvato; assolutamente no; annulla; vietato;
non ancora; no grazie; fermo; não; nunca mais; recusado; recusada; rejeitado; reprovado; negada; não aprovado;
de jeito nenhum; cancelado; ainda não; proibido; nooit; afgewezen; geweigerd; niet akkoord; niet goedgekeurd;
afgekeurd; liever niet; nog niet; verboden toegang; annuleren; nej; aldrig; avslag; avvisad; nekad; inte godkänd;
ikke godkendt; ikke godkjent; afvist; avvist; nei; aldri; ei; ei koskaan; hylätty; nie; odrzucam; odrzucone;
nie zgadzam się; niezatwierdzone; nigdy; odmowa; ne; nesouhlasím; zamítnuto; neschváleno; nikdy; nem; elutasítva;
soha; hayır; asla; reddedildi; onaylamıyorum; onaylanmadı; iptal; нет; никогда; отказ; отклонено; не согласен;
не одобряю; не одобрено; запрещено; отмена; ни в коем случае; ні; відхилено; ніколи; όχι; ποτέ; απορρίπτεται; لا;
مرفوض; أبدا; غير موافق; لا أوافق; לא; נדחה; אסור; नहीं; मत करो; अस्वीकृत; अस्वीकार; いいえ; だめ; 却下; 拒否; 反対;
承認しない; 承認しません; やめて; 否決; 不; 不行; 不同意; 拒绝; 拒絕; 否; 不可以; 不好; 驳回; 不批准; 取消; 아니오;
아니요; 아뇨; 거부; 반대; 반려; 승인하지 않음; 동의하지 않습니다; 취소; 👎; 👎🏽; ❌; ✖; ⛔; 🚫; 🛑; 🙅; ✋; 🔴; 😡;
👍👎; 👎👍; ✅❌; 🤷; ⏸; ❎; :-1:; :(
"""
REFUSALS = tuple(refusal.strip() for refusal in LISTED.replace("\n", " ").split(";") if refusal.strip())
