import { address } from '../api';
import { texts } from '../texts';

export function Logo() {
  return (
    <span className="logo">
      <img src={address('/icon.svg')} alt="" width={28} height={28} />
      <span>{texts.product}</span>
    </span>
  );
}
